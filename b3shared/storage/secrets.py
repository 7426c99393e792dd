"""Reads secrets of AWS Secrets Manager."""

from b3shared.core.errors import SourceUnavailableError


def read_secret(arn: str) -> str:
    """Return the text of a secret of Secrets Manager.

    Raises:
        SourceUnavailableError: There is none, it may not be read, or it holds bytes.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        text = boto3.client("secretsmanager").get_secret_value(SecretId=arn).get("SecretString")
    except (BotoCoreError, ClientError) as error:
        raise SourceUnavailableError(f"secret {arn} cannot be read: {error}") from error
    if not text:
        raise SourceUnavailableError(
            f"secret {arn} holds no text; the token alone, as text, is needed"
        )
    return str(text).strip()
