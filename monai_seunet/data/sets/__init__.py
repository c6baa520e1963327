"""Downloads of the field's data sets, as users have them."""
