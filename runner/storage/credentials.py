"""Who writes to S3: one source for the upload and for its retention, in the order of AWS' own
tools: variables, a profile of ~/.aws, a web identity, the container's or the instance's role.
obstore knows no profiles and would take another identity where there is one."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from awscrt.auth import AwsCredentialsProvider
    from obstore.store import S3Credential

_SECONDS = 60


class CredentialsError(Exception):
    """Nothing says who writes."""

    def __init__(self) -> None:
        super().__init__(
            "no credentials were found: they come from the environment (AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, a profile of ~/.aws, a web identity, or the instance), as for "
            "other tools"
        )


class AwsCredentials:
    """What obstore and awscrt take as their source."""

    def __init__(self) -> None:
        # The extra `cloud`; nobody else waits for it.
        from awscrt import auth  # noqa: PLC0415

        self.provider: AwsCredentialsProvider = auth.AwsCredentialsProvider.new_default_chain()

    def __call__(self) -> "S3Credential":
        """Asked again when they expire, as the chain renews them. Raises CredentialsError."""
        try:
            found = self.provider.get_credentials().result(_SECONDS)
        except Exception as error:
            raise CredentialsError from error
        return {
            "access_key_id": found.access_key_id,
            "secret_access_key": found.secret_access_key,
            "token": found.session_token,
            "expires_at": found.expiration,
        }
