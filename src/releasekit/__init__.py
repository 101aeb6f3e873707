"""Plain programs that turn locked inputs into packages. They know nothing of Pants."""
