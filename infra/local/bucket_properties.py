"""Applies CloudFormation's properties of a bucket through S3's API."""

from typing import Any

from infra.local.errors import DeployError


def apply_bucket_properties(s3: Any, bucket: str, properties: dict[str, Any]) -> None:
    """Set the properties of a bucket that moto's CloudFormation drops.

    Args:
        s3: boto3 client.
        bucket: Name of the bucket, which exists.
        properties: Its properties in the template, resolved.

    Raises:
        DeployError: A notification goes elsewhere than to EventBridge.
    """
    if "VersioningConfiguration" in properties:
        s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration=properties["VersioningConfiguration"]
        )
    if "PublicAccessBlockConfiguration" in properties:
        block = properties["PublicAccessBlockConfiguration"]
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=block)

    if rules := properties.get("LifecycleConfiguration", {}).get("Rules"):
        configuration = {"Rules": [lifecycle_rule(rule) for rule in rules]}
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=configuration)

    notifications = properties.get("NotificationConfiguration") or {}
    if other := sorted(set(notifications) - {"EventBridgeConfiguration"}):
        raise DeployError(
            f"bucket {bucket}: locally S3 notifies EventBridge only, not {', '.join(other)}"
        )
    if notifications:
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )


def lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    """Translate a lifecycle rule of CloudFormation to one of S3's API.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-properties-s3-bucket-rule.html
    to https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html
    """
    out: dict[str, Any] = {"Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "Id" in rule:
        out["ID"] = rule["Id"]

    expiration = {
        "Days": rule.get("ExpirationInDays"),
        "Date": rule.get("ExpirationDate"),
        "ExpiredObjectDeleteMarker": rule.get("ExpiredObjectDeleteMarker"),
    }
    if kept := {name: value for name, value in expiration.items() if value is not None}:
        out["Expiration"] = kept

    if "NoncurrentVersionExpirationInDays" in rule:
        out["NoncurrentVersionExpiration"] = {
            "NoncurrentDays": rule["NoncurrentVersionExpirationInDays"]
        }
    for same in ("NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload"):
        if same in rule:
            out[same] = rule[same]

    if "Transitions" in rule:
        out["Transitions"] = [
            {"Days": transition["TransitionInDays"], "StorageClass": transition["StorageClass"]}
            for transition in rule["Transitions"]
        ]
    return out
