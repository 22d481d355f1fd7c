"""Parts of the python engine; nothing else uses them."""
