"""People drawn by the program: identities, poses, scenes, captions."""
