"""From images to tokens: the model with its tower, preprocessing, prompts and cache."""
