"""What a model knows: senses in context, likenesses of words, grammar."""
