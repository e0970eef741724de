"""Text to files of token ids and back, a line or record at a time: no documents, no examples."""
