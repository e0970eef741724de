"""What a pretrained model does with a text: fill, write on, embed, judge labels."""
