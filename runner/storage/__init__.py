"""Object stores: where a bundle goes when it leaves the machine.

place = Place.of("s3://bucket/runs", name)      pure
upload(path, place)                             whole or absent there, checked
upload(path, place, Retention(mode, until))     and nobody can delete it before that
"""

from runner.storage.place import Place, PlaceError
from runner.storage.retain import Mode, Retention
from runner.storage.upload import Uploaded, UploadError, upload

__all__ = ["Mode", "Place", "PlaceError", "Retention", "UploadError", "Uploaded", "upload"]
