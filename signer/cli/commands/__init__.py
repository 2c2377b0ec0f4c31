"""The commands, a module for each noun; every module has `register`, which adds its commands to the line."""
