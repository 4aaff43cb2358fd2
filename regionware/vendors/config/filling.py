"""Templates for texts in which braces, dollars and percents mean something."""


def fill(template: str, **values: str) -> str:
    """Put values in the places `<<name>>` of a template."""
    for name, value in values.items():
        template = template.replace(f"<<{name}>>", value)
    return template
