import there_is_no_such_module


def handler(event, context):
    return there_is_no_such_module
