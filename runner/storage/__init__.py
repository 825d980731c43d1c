"""Object stores: where a bundle goes when it leaves the machine.

place = Place.of("s3://bucket/runs", name)      pure
upload(path, place)                             whole or absent there, checked
"""

from runner.storage.place import Place, PlaceError
from runner.storage.upload import Uploaded, UploadError, upload

__all__ = ["Place", "PlaceError", "UploadError", "Uploaded", "upload"]
