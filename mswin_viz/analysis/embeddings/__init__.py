"""Tables of embeddings and what is read off them."""
