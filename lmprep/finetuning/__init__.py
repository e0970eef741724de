"""Fine-tuning: a pretrained model learns a task with labels, and is measured on it."""
