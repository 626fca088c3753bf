"""Every XMP property that a finished picture may carry, in which mode, and what its value must look like in full.

Sources: Google's Photo Sphere XMP (https://developers.google.com/streetview/spherical-metadata), XMP Specification
Part 2 (Adobe), Exif 3.0 in XMP (CIPA DC-010), IPTC Photo Metadata, DJI and Pix4D for the attitude of the camera.
"""

import re
from dataclasses import dataclass

from service.imaging.exif_tags import Level
from service.imaging.plain_values import MAX_LABEL, MAX_TEXT, plain_text
from service.policy import MetadataPolicy

NAMESPACES = {
    "GPano": "http://ns.google.com/photos/1.0/panorama/",
    "Camera": "http://pix4d.com/camera/1.0/",
    "drone-dji": "http://www.dji.com/drone-dji/1.0/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "exifEX": "http://cipa.jp/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "aux": "http://ns.adobe.com/exif/1.0/aux/",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
}
PREFIXES = {uri: prefix for prefix, uri in NAMESPACES.items()} | {"http://pix4d.com/camera/1.0": "Camera"}

KINDS: dict[str, re.Pattern[str]] = {
    "INTEGER": re.compile(r"-?\d{1,9}", re.ASCII),
    "PIXELS": re.compile(r"\d{1,7}", re.ASCII),
    "DEGREES": re.compile(r"-?\d{1,3}(\.\d{1,9})?", re.ASCII),
    "NUMBER": re.compile(r"[+-]?\d{1,9}(\.\d{1,12})?", re.ASCII),
    "RATIONAL": re.compile(r"-?\d{1,10}(/\d{1,10})?", re.ASCII),
    "BOOLEAN": re.compile(r"True|False", re.ASCII | re.IGNORECASE),
    "PROJECTION": re.compile(r"equirectangular|cylindrical", re.ASCII | re.IGNORECASE),
    "DATE": re.compile(r"[0-9T:. +\-Z]{4,35}", re.ASCII),
    "COORDINATE": re.compile(r"\d{1,3},\d{1,2}(\.\d{1,10}|,\d{1,2}(\.\d{1,10})?)?[NSEW]", re.ASCII),
    "LETTER": re.compile(r"[A-Z]", re.ASCII),
    "LABEL": re.compile(r".{1,128}"),
    "TEXT": re.compile(r".{1,2000}", re.DOTALL),
    "URL": re.compile(r"https?://[!-;=?-~]{1,128}", re.ASCII),
}
FREE = {"LABEL": MAX_LABEL, "TEXT": MAX_TEXT, "URL": MAX_LABEL * 2}
LOWER, CAPITAL = "PROJECTION", "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Property:
    """`exact`: dropped where the position is rounded, because it is or may hold a position."""

    prefix: str
    name: str
    level: Level
    kind: str
    array: bool
    exact: bool

    @property
    def label(self) -> str:
        """As it is written in a packet."""
        return f"{self.prefix}:{self.name}"

    def accepted(self, value: str) -> str | None:
        """`value` in the form in which it is written; None if it is not what this property holds."""
        value = value.strip()
        if KINDS[self.kind].fullmatch(value) is None:
            return None
        if self.kind in FREE and not plain_text(value, FREE[self.kind]):
            return None
        if self.kind == LOWER:
            return value.lower()
        return value.capitalize() if self.kind == CAPITAL else value


TABLE = """
strip GPano PROJECTION ProjectionType
strip GPano BOOLEAN    UsePanoramaViewer
strip GPano PIXELS     CroppedAreaImageWidthPixels CroppedAreaImageHeightPixels
strip GPano PIXELS     FullPanoWidthPixels FullPanoHeightPixels CroppedAreaLeftPixels CroppedAreaTopPixels
strip GPano PIXELS     LargestValidInteriorRectLeft LargestValidInteriorRectTop
strip GPano PIXELS     LargestValidInteriorRectWidth LargestValidInteriorRectHeight
strip GPano DEGREES    InitialViewHeadingDegrees InitialViewPitchDegrees InitialViewRollDegrees
strip GPano DEGREES    InitialHorizontalFOVDegrees InitialVerticalFOVDegrees PosePitchDegrees PoseRollDegrees
geo   GPano DEGREES    PoseHeadingDegrees
geo   GPano DATE       FirstPhotoDate LastPhotoDate
keep  GPano INTEGER    SourcePhotosCount
keep  GPano NUMBER     InitialCameraDolly
keep  GPano BOOLEAN    ExposureLockUsed
keep  GPano LABEL      CaptureSoftware StitchingSoftware
geo   Camera NUMBER    Yaw Pitch Roll
geo   drone-dji NUMBER GimbalYawDegree GimbalPitchDegree GimbalRollDegree
geo   drone-dji NUMBER FlightYawDegree FlightPitchDegree FlightRollDegree
geo   drone-dji NUMBER GpsLatitude GpsLongitude GpsLongtitude AbsoluteAltitude RelativeAltitude  EXACT
geo   exif  DATE       DateTimeOriginal DateTimeDigitized
geo   exif  COORDINATE GPSLatitude GPSLongitude                                   EXACT
geo   exif  RATIONAL   GPSAltitude GPSAltitudeRef                                 EXACT
geo   exif  DATE       GPSTimeStamp
geo   exif  RATIONAL   GPSImgDirection
geo   exif  LETTER     GPSImgDirectionRef
keep  exif  COORDINATE GPSDestLatitude GPSDestLongitude                           EXACT
keep  exif  RATIONAL   GPSDestBearing GPSDestDistance                             EXACT
keep  exif  RATIONAL   GPSSpeed GPSTrack GPSDOP
keep  exif  LETTER     GPSSpeedRef GPSTrackRef
keep  exif  LABEL      GPSMapDatum ExifVersion
keep  exif  RATIONAL   ExposureTime FNumber ExposureProgram ShutterSpeedValue ApertureValue BrightnessValue
keep  exif  RATIONAL   ExposureBiasValue MaxApertureValue SubjectDistance MeteringMode LightSource FocalLength
keep  exif  RATIONAL   ColorSpace SensingMethod CustomRendered ExposureMode WhiteBalance DigitalZoomRatio
keep  exif  RATIONAL   FocalLengthIn35mmFilm SceneCaptureType GainControl Contrast Saturation Sharpness
keep  exif  RATIONAL   SubjectDistanceRange
keep  exif  RATIONAL   ISOSpeedRatings                                            ARRAY
keep  exifEX RATIONAL  PhotographicSensitivity SensitivityType RecommendedExposureIndex Gamma
keep  exifEX RATIONAL  LensSpecification                                          ARRAY
keep  exifEX LABEL     LensMake LensModel
owner exifEX LABEL     BodySerialNumber LensSerialNumber CameraOwnerName
geo   tiff  LABEL      Make Model
geo   tiff  DATE       DateTime
keep  tiff  LABEL      Software
owner tiff  LABEL      Artist
keep  aux   LABEL      Lens LensInfo LensID Firmware
owner aux   LABEL      SerialNumber LensSerialNumber OwnerName
geo   xmp   DATE       CreateDate
keep  xmp   DATE       ModifyDate MetadataDate
keep  xmp   LABEL      CreatorTool
keep  xmp   INTEGER    Rating
keep  dc    TEXT       title description subject                                  ARRAY EXACT
owner dc    TEXT       creator rights                                             ARRAY EXACT
geo   photoshop DATE   DateCreated
keep  photoshop TEXT   Headline City State Country                                EXACT
owner photoshop TEXT   Credit Source AuthorsPosition CaptionWriter                EXACT
keep  xmpRights BOOLEAN Marked
keep  xmpRights URL    WebStatement                                               EXACT
owner xmpRights TEXT   Owner UsageTerms                                           ARRAY EXACT
keep  Iptc4xmpCore TEXT Location                                                  EXACT
keep  Iptc4xmpCore LABEL CountryCode
"""


def _parse(row: str) -> list[Property]:
    level, prefix, kind, *names = row.split()
    flags = {"ARRAY", "EXACT"} & set(names)
    return [
        Property(prefix, name, Level[level.upper()], kind, "ARRAY" in flags, "EXACT" in flags)
        for name in names
        if name not in flags
    ]


PROPERTIES: dict[tuple[str, str], Property] = {
    (each.prefix, each.name): each for row in TABLE.strip().splitlines() for each in _parse(row)
}
"""The whitelist."""


def keeps(known: Property, policy: MetadataPolicy) -> bool:
    """Whether `policy` keeps the property."""
    return known.level <= Level.of(policy) and not (known.exact and policy.geo is not None)
