"""Every EXIF tag that a finished picture may carry, in which mode, and what its value must look like.

Names and numbers: Exif 3.0 (CIPA DC-008-2023), TIFF 6.0. A tag that is not listed is kept in no mode, unless the
deployment lists it; those in NEVER are kept nowhere.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from service.imaging.plain_values import MAX_LABEL, MAX_TEXT, plain_comment, plain_string
from service.imaging.signatures import holds_picture
from service.policy import GeoPrecision, MetadataMode, MetadataPolicy


class Level(IntEnum):
    """The least that must be asked for before something is kept."""

    STRIP = 0
    GEO = 1
    KEEP = 2
    OWNER = 3
    """`keep`, in a deployment that keeps names of people and serial numbers."""

    @classmethod
    def of(cls, policy: MetadataPolicy) -> "Level":
        """How much `policy` asks for."""
        if policy.mode is MetadataMode.KEEP:
            return cls.OWNER if policy.owner else cls.KEEP
        return cls[policy.mode.name]


class Group(StrEnum):
    """The four directories of an EXIF block, by their usual names."""

    IMAGE = "IFD0"
    PHOTO = "ExifIFD"
    GPS = "GPS"
    INTEROP = "InteropIFD"


class Kind(StrEnum):
    """What a value must look like to be kept."""

    LABEL = "short text"
    TEXT = "text"
    COMMENT = "ASCII text with its character code"
    DATE = "date or time"
    NUMBERS = "numbers"
    BYTES = "bytes"


class When(StrEnum):
    """Where else a tag is dropped."""

    ALWAYS_FITS = ""
    SAME_PIXELS = "not where pixels are turned"
    NO_TIFF = "not where pixels are turned, and not in TIFF, which has its own"
    EXACT = "not where the position is rounded"


@dataclass(frozen=True, slots=True)
class Tag:
    """`limit`: bytes of text or of bytes, or how many numbers."""

    group: Group
    number: int
    name: str
    level: Level
    kind: Kind
    limit: int
    when: When


ASCII, SHORT, LONG, UNDEFINED, UTF8 = 2, 3, 4, 7, 129
STRINGS = frozenset({ASCII, UTF8})
NUMERIC = frozenset({1, 3, 4, 5, 6, 8, 9, 10, 11, 12})
DATE = re.compile(rb"[0-9:. +\-TZ]{0,32}\0{0,4}")
LIMITS = {Kind.LABEL: MAX_LABEL, Kind.TEXT: MAX_TEXT, Kind.COMMENT: MAX_LABEL, Kind.DATE: 36}

ORIENTATION = 0x0112
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
LATITUDE_REF, LATITUDE, LONGITUDE_REF, LONGITUDE, ALTITUDE_REF, ALTITUDE = 1, 2, 3, 4, 5, 6

TABLE = """
IFD0 0100 ImageWidth                  keep  NUMBERS 1  NO_TIFF
IFD0 0101 ImageLength                 keep  NUMBERS 1  NO_TIFF
IFD0 0102 BitsPerSample               keep  NUMBERS 4  NO_TIFF
IFD0 0106 PhotometricInterpretation   keep  NUMBERS 1  NO_TIFF
IFD0 010D DocumentName                keep  TEXT       EXACT
IFD0 010E ImageDescription            keep  TEXT       EXACT
IFD0 010F Make                        geo   LABEL
IFD0 0110 Model                       geo   LABEL
IFD0 0112 Orientation                 strip NUMBERS 1
IFD0 0115 SamplesPerPixel             keep  NUMBERS 1  NO_TIFF
IFD0 011A XResolution                 keep  NUMBERS 1  NO_TIFF
IFD0 011B YResolution                 keep  NUMBERS 1  NO_TIFF
IFD0 011C PlanarConfiguration         keep  NUMBERS 1  NO_TIFF
IFD0 0128 ResolutionUnit              keep  NUMBERS 1  NO_TIFF
IFD0 0131 Software                    keep  LABEL
IFD0 0132 DateTime                    geo   DATE
IFD0 013B Artist                      owner TEXT       EXACT
IFD0 013C HostComputer                owner LABEL
IFD0 013E WhitePoint                  keep  NUMBERS 2
IFD0 013F PrimaryChromaticities       keep  NUMBERS 6
IFD0 0211 YCbCrCoefficients           keep  NUMBERS 3  NO_TIFF
IFD0 0212 YCbCrSubSampling            keep  NUMBERS 2  NO_TIFF
IFD0 0213 YCbCrPositioning            keep  NUMBERS 1  NO_TIFF
IFD0 0214 ReferenceBlackWhite         keep  NUMBERS 6  NO_TIFF
IFD0 4746 Rating                      keep  NUMBERS 1
IFD0 4749 RatingPercent               keep  NUMBERS 1
IFD0 8298 Copyright                   owner TEXT       EXACT
IFD0 C614 UniqueCameraModel           keep  LABEL
IFD0 C62F CameraSerialNumber          owner LABEL
ExifIFD 829A ExposureTime             keep  NUMBERS 1
ExifIFD 829D FNumber                  keep  NUMBERS 1
ExifIFD 8822 ExposureProgram          keep  NUMBERS 1
ExifIFD 8824 SpectralSensitivity      keep  LABEL
ExifIFD 8827 PhotographicSensitivity  keep  NUMBERS 3
ExifIFD 8830 SensitivityType          keep  NUMBERS 1
ExifIFD 8831 StandardOutputSensitivity keep NUMBERS 1
ExifIFD 8832 RecommendedExposureIndex keep  NUMBERS 1
ExifIFD 8833 ISOSpeed                 keep  NUMBERS 1
ExifIFD 8834 ISOSpeedLatitudeyyy      keep  NUMBERS 1
ExifIFD 8835 ISOSpeedLatitudezzz      keep  NUMBERS 1
ExifIFD 9000 ExifVersion              geo   BYTES 4
ExifIFD 9003 DateTimeOriginal         geo   DATE
ExifIFD 9004 DateTimeDigitized        geo   DATE
ExifIFD 9010 OffsetTime               geo   DATE
ExifIFD 9011 OffsetTimeOriginal       geo   DATE
ExifIFD 9012 OffsetTimeDigitized      geo   DATE
ExifIFD 9101 ComponentsConfiguration  keep  BYTES 4
ExifIFD 9102 CompressedBitsPerPixel   keep  NUMBERS 1
ExifIFD 9201 ShutterSpeedValue        keep  NUMBERS 1
ExifIFD 9202 ApertureValue            keep  NUMBERS 1
ExifIFD 9203 BrightnessValue          keep  NUMBERS 1
ExifIFD 9204 ExposureBiasValue        keep  NUMBERS 1
ExifIFD 9205 MaxApertureValue         keep  NUMBERS 1
ExifIFD 9206 SubjectDistance          keep  NUMBERS 1
ExifIFD 9207 MeteringMode             keep  NUMBERS 1
ExifIFD 9208 LightSource              keep  NUMBERS 1
ExifIFD 9209 Flash                    keep  NUMBERS 1
ExifIFD 920A FocalLength              keep  NUMBERS 1
ExifIFD 9214 SubjectArea              keep  NUMBERS 4  SAME_PIXELS
ExifIFD 9290 SubSecTime               geo   DATE
ExifIFD 9291 SubSecTimeOriginal       geo   DATE
ExifIFD 9292 SubSecTimeDigitized      geo   DATE
ExifIFD 9400 Temperature              keep  NUMBERS 1
ExifIFD 9401 Humidity                 keep  NUMBERS 1
ExifIFD 9402 Pressure                 keep  NUMBERS 1  EXACT
ExifIFD 9403 WaterDepth               keep  NUMBERS 1  EXACT
ExifIFD 9404 Acceleration             keep  NUMBERS 1
ExifIFD 9405 CameraElevationAngle     geo   NUMBERS 1
ExifIFD A000 FlashpixVersion          keep  BYTES 4
ExifIFD A001 ColorSpace               keep  NUMBERS 1
ExifIFD A002 PixelXDimension          keep  NUMBERS 1  SAME_PIXELS
ExifIFD A003 PixelYDimension          keep  NUMBERS 1  SAME_PIXELS
ExifIFD A004 RelatedSoundFile         keep  LABEL
ExifIFD A20B FlashEnergy              keep  NUMBERS 2
ExifIFD A20E FocalPlaneXResolution    keep  NUMBERS 1  SAME_PIXELS
ExifIFD A20F FocalPlaneYResolution    keep  NUMBERS 1  SAME_PIXELS
ExifIFD A210 FocalPlaneResolutionUnit keep  NUMBERS 1
ExifIFD A214 SubjectLocation          keep  NUMBERS 2  SAME_PIXELS
ExifIFD A215 ExposureIndex            keep  NUMBERS 1
ExifIFD A217 SensingMethod            keep  NUMBERS 1
ExifIFD A300 FileSource               keep  BYTES 4
ExifIFD A301 SceneType                keep  BYTES 4
ExifIFD A302 CFAPattern               keep  BYTES 16
ExifIFD A401 CustomRendered           keep  NUMBERS 1
ExifIFD A402 ExposureMode             keep  NUMBERS 1
ExifIFD A403 WhiteBalance             keep  NUMBERS 1
ExifIFD A404 DigitalZoomRatio         keep  NUMBERS 1
ExifIFD A405 FocalLengthIn35mmFilm    keep  NUMBERS 1
ExifIFD A406 SceneCaptureType         keep  NUMBERS 1
ExifIFD A407 GainControl              keep  NUMBERS 1
ExifIFD A408 Contrast                 keep  NUMBERS 1
ExifIFD A409 Saturation               keep  NUMBERS 1
ExifIFD A40A Sharpness                keep  NUMBERS 1
ExifIFD A40C SubjectDistanceRange     keep  NUMBERS 1
ExifIFD A420 ImageUniqueID            keep  LABEL
ExifIFD A430 CameraOwnerName          owner TEXT       EXACT
ExifIFD A431 BodySerialNumber         owner LABEL
ExifIFD A432 LensSpecification        keep  NUMBERS 4
ExifIFD A433 LensMake                 keep  LABEL
ExifIFD A434 LensModel                keep  LABEL
ExifIFD A435 LensSerialNumber         owner LABEL
ExifIFD A436 ImageTitle               keep  TEXT       EXACT
ExifIFD A437 Photographer             owner TEXT       EXACT
ExifIFD A438 ImageEditor              owner TEXT       EXACT
ExifIFD A439 CameraFirmware           keep  LABEL
ExifIFD A43A RAWDevelopingSoftware    keep  LABEL
ExifIFD A43B ImageEditingSoftware     keep  LABEL
ExifIFD A43C MetadataEditingSoftware  keep  LABEL
ExifIFD A460 CompositeImage           keep  NUMBERS 1
ExifIFD A461 SourceImageNumberOfCompositeImage keep NUMBERS 2
ExifIFD A500 Gamma                    keep  NUMBERS 1
GPS 0000 GPSVersionID                 geo   BYTES 4
GPS 0001 GPSLatitudeRef               geo   LABEL
GPS 0002 GPSLatitude                  geo   NUMBERS 3
GPS 0003 GPSLongitudeRef              geo   LABEL
GPS 0004 GPSLongitude                 geo   NUMBERS 3
GPS 0005 GPSAltitudeRef               geo   BYTES 1
GPS 0006 GPSAltitude                  geo   NUMBERS 1
GPS 0007 GPSTimeStamp                 geo   NUMBERS 3
GPS 0008 GPSSatellites                keep  LABEL      EXACT
GPS 0009 GPSStatus                    geo   LABEL
GPS 000A GPSMeasureMode               geo   LABEL
GPS 000B GPSDOP                       geo   NUMBERS 1
GPS 000C GPSSpeedRef                  geo   LABEL
GPS 000D GPSSpeed                     geo   NUMBERS 1
GPS 000E GPSTrackRef                  geo   LABEL
GPS 000F GPSTrack                     geo   NUMBERS 1
GPS 0010 GPSImgDirectionRef           geo   LABEL
GPS 0011 GPSImgDirection              geo   NUMBERS 1
GPS 0012 GPSMapDatum                  geo   LABEL
GPS 0013 GPSDestLatitudeRef           keep  LABEL      EXACT
GPS 0014 GPSDestLatitude              keep  NUMBERS 3  EXACT
GPS 0015 GPSDestLongitudeRef          keep  LABEL      EXACT
GPS 0016 GPSDestLongitude             keep  NUMBERS 3  EXACT
GPS 0017 GPSDestBearingRef            keep  LABEL      EXACT
GPS 0018 GPSDestBearing               keep  NUMBERS 1  EXACT
GPS 0019 GPSDestDistanceRef           keep  LABEL      EXACT
GPS 001A GPSDestDistance              keep  NUMBERS 1  EXACT
GPS 001B GPSProcessingMethod          keep  COMMENT    EXACT
GPS 001C GPSAreaInformation           keep  COMMENT    EXACT
GPS 001D GPSDateStamp                 geo   DATE
GPS 001E GPSDifferential              geo   NUMBERS 1
GPS 001F GPSHPositioningError         geo   NUMBERS 1  EXACT
InteropIFD 0001 InteroperabilityIndex   keep LABEL
InteropIFD 0002 InteroperabilityVersion keep BYTES 4
InteropIFD 1000 RelatedImageFileFormat  keep LABEL
InteropIFD 1001 RelatedImageWidth       keep NUMBERS 1 SAME_PIXELS
InteropIFD 1002 RelatedImageLength      keep NUMBERS 1 SAME_PIXELS
"""


def _parse(row: str) -> Tag:
    group, number, name, level, kind, *rest = row.split()
    limit = int(rest.pop(0)) if rest and rest[0].isdigit() else LIMITS[Kind[kind]]
    when = When[rest[0]] if rest else When.ALWAYS_FITS
    return Tag(Group(group), int(number, 16), name, Level[level.upper()], Kind[kind], limit, when)


TAGS: dict[tuple[Group, int], Tag] = {
    (each.group, each.number): each for each in map(_parse, TABLE.strip().splitlines())
}
"""The whitelist."""

NEVER: dict[int, str] = {
    EXIF_POINTER: "pointer to ExifIFD",
    GPS_POINTER: "pointer to GPS",
    INTEROP_POINTER: "pointer to InteropIFD",
    0x00FE: "NewSubfileType",
    0x00FF: "SubfileType",
    0x0103: "Compression",
    0x0111: "StripOffsets",
    0x0117: "StripByteCounts",
    0x0144: "TileOffsets",
    0x0145: "TileByteCounts",
    0x014A: "SubIFDs",
    0x015B: "JPEGTables",
    0x0200: "JPEGProc",
    0x0201: "JPEGInterchangeFormat (thumbnail)",
    0x0202: "JPEGInterchangeFormatLength (thumbnail)",
    0x0207: "JPEGQTables",
    0x0208: "JPEGDCTables",
    0x0209: "JPEGACTables",
    0x02BC: "XMP",
    0x501B: "ThumbnailData",
    0x83BB: "IPTC",
    0x8649: "Photoshop resources",
    0x8773: "InterColorProfile",
    0x8828: "OECF",
    0x927C: "MakerNote",
    0x9286: "UserComment",
    0x935C: "ImageSourceData (Photoshop layers)",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
    0xA20C: "SpatialFrequencyResponse",
    0xA40B: "DeviceSettingDescription",
    0xA462: "SourceExposureTimesOfCompositeImage",
    0xBCC0: "ImageOffset",
    0xBCC2: "AlphaOffset",
    0xC4A5: "PrintIM",
    0xC51B: "HasselbladExif",
    0xC634: "DNGPrivateData",
    0xC68B: "OriginalRawFileName",
    0xC68C: "OriginalRawFileData",
    0xC7D5: "NikonNEFInfo",
    0xCD49: "JXLDistance",
    0xEA1C: "Padding",
    0xEA1D: "OffsetSchema",
}
"""What can point at a picture, carry one or hold free bytes, or is the container's own; refused even if listed."""

FIRST_NUMBER = 0x0100
MAX_UNLISTED_NUMBERS = 16


def resolve(listed: str) -> str:
    """The name of the tag that `listed` names, or its number as 0x1234 if it has none here.

    Raises ValueError, with the reason, for what is no tag and for tags that are kept nowhere.
    """
    name = listed.strip()
    forbidden = {text.split()[0].lower() for text in NEVER.values()} - {"pointer"}
    known = {tag.name.lower(): tag.name for tag in TAGS.values()}
    if name.lower() in known:
        return known[name.lower()]
    if name.lower() in forbidden:
        raise ValueError(f"'{name}' can carry a picture or free bytes and is kept nowhere")
    try:
        number = int(name, 0)
    except ValueError:
        raise ValueError(f"'{name}' is neither an EXIF tag that is known here nor a number like 0xC614") from None
    if number in NEVER:
        raise ValueError(f"{name} ({NEVER[number]}) can carry a picture or free bytes and is kept nowhere")
    if not FIRST_NUMBER <= number <= 0xFFFF:  # noqa: PLR2004 - a tag has 16 bits
        raise ValueError(f"{name} is no number of a tag in IFD0 or ExifIFD (give GPS tags by name)")
    for group in (Group.IMAGE, Group.PHOTO):
        if (group, number) in TAGS:
            return TAGS[group, number].name
    return f"0x{number:04X}"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tags `policy` keeps; made once for a picture.

    `upright`: the finished picture is turned compared with its source. `in_tiff`: it is a TIFF.
    """

    policy: MetadataPolicy
    upright: bool = False
    in_tiff: bool = False

    def keeps(self, group: Group, number: int) -> bool:
        """Whether the tag may be kept at all."""
        tag = TAGS.get((group, number))
        if tag is None:
            unlisted = group in (Group.IMAGE, Group.PHOTO) and number not in NEVER
            # What the value of an unknown tag may tell is unknown as well.
            return unlisted and self._rounding is None and self._allows(f"0x{number:04X}")
        if tag.level > Level.of(self.policy) and not self._allows(tag.name):
            return False
        match tag.when:
            case When.EXACT:
                return self._rounding is None
            case When.SAME_PIXELS:
                return not self.upright
            case When.NO_TIFF:
                return not self.upright and not self.in_tiff
        return True

    @property
    def _rounding(self) -> GeoPrecision | None:
        return self.policy.geo

    def _allows(self, name: str) -> bool:
        return self.policy.mode is not MetadataMode.STRIP and name in self.policy.allow


def plain(group: Group, number: int, type_code: int, count: int, value: bytes) -> bool:
    """Whether a field's `value` is what its tag calls for, and cannot be more."""
    tag = TAGS.get((group, number))
    if tag is None:
        numbers = type_code in NUMERIC and count <= MAX_UNLISTED_NUMBERS and not holds_picture(value)
        return numbers or (type_code in STRINGS and plain_string(value, MAX_TEXT))
    match tag.kind:
        case Kind.LABEL | Kind.TEXT:
            fits = type_code in STRINGS and plain_string(value, tag.limit)
        case Kind.COMMENT:
            fits = type_code in STRINGS | {UNDEFINED} and plain_comment(value, tag.limit)
        case Kind.DATE:
            fits = type_code in STRINGS and DATE.fullmatch(value) is not None
        case Kind.NUMBERS:
            fits = type_code in NUMERIC and count <= tag.limit
        case Kind.BYTES:
            fits = len(value) <= tag.limit
    return fits


def names(tags: Iterable[tuple[Group, int]]) -> list[str]:
    """`GPS:GPSLatitude` and so on, unlisted numbers as `ExifIFD:0x1234`."""
    return [f"{group}:{TAGS[group, number].name if (group, number) in TAGS else hex(number)}" for group, number in tags]
