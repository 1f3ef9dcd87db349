"""AWS's side of the demo and the tests, against a double: what an administrator would set up once, and what a job runs.

Runs in the Python environment of the double, which has botocore.
"""

import argparse
import json
import os
import sys
import time

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ACCOUNT = "123456789012"
REGION = "eu-central-1"
ROLES = ["shop-deploy"]
BROKER = "daypass-broker"


def client(service, endpoint, key=None, secret=None, token=None, attempts=3):
    session = botocore.session.Session()
    return session.create_client(
        service,
        region_name=os.environ.get("AWS_REGION", REGION),
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": attempts}, connect_timeout=2, read_timeout=10),
    )


def ready(iam):
    """Waits until the double answers."""
    for _ in range(100):
        try:
            return iam.list_roles()
        except (BotoCoreError, ClientError) as error:
            last = error
            time.sleep(0.1)
    sys.exit(f"the AWS double does not answer: {last}")


def setup(endpoint):
    """The broker's user, which may assume the roles and nothing else, and the roles, which trust it alone."""
    # The double takes an account's number as the key of that account's root.
    iam = client("iam", endpoint, ACCOUNT, "test", attempts=1)
    ready(iam)
    arns = [f"arn:aws:iam::{ACCOUNT}:role/{name}" for name in ROLES]
    user = iam.create_user(UserName=BROKER)["User"]["Arn"]
    may = {"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"], "Resource": arns}
    iam.put_user_policy(UserName=BROKER, PolicyName="assume", PolicyDocument=document(may))
    for name in ROLES:
        trust = {"Effect": "Allow", "Principal": {"AWS": user}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]}
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust), MaxSessionDuration=3600)
    key = iam.create_access_key(UserName=BROKER)["AccessKey"]
    print(f"AWS_ACCESS_KEY_ID={key['AccessKeyId']}")
    print(f"AWS_SECRET_ACCESS_KEY={key['SecretAccessKey']}")
    print(f"AWS_REGION={REGION}")
    print(f"DAYPASS_TEST_AWS_ROLE={arns[0]}")


def document(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def whoami(endpoint):
    """What a deploy step does first: asks AWS who it is, with the credentials of its environment."""
    sts = client("sts", endpoint, os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"], os.environ.get("AWS_SESSION_TOKEN"))
    try:
        print(sts.get_caller_identity()["Arn"])
    except ClientError as error:
        sys.exit(f"refused by AWS: {error.response['Error']['Code']}: {error.response['Error']['Message']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["setup", "whoami"])
    parser.add_argument("--endpoint", default=os.environ.get("AWS_ENDPOINT_URL_STS"), required="AWS_ENDPOINT_URL_STS" not in os.environ)
    arguments = parser.parse_args()
    {"setup": setup, "whoami": whoami}[arguments.what](arguments.endpoint)


main()
