"""Tasks told in words: labels judged by how likely a model finds them behind a prompt."""
