"""What a user would otherwise run, written anew from what is published about it."""
