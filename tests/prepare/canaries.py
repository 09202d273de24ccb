"""Files in which invented persons are hidden, one canary a file, over every kind of place; and files that hold nobody.

Nobody named here exists.
"""

import gzip
import io
import json
import struct
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, PngImagePlugin
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

MAKERS_UID = "1.3.12.2.1107.5.2.19.45231.2015031210450312345678901"


@dataclass(frozen=True)
class Canary:
    """A file below the folder of canaries, and a word of the place at which it must be found."""

    path: str
    place: str


#: DICOM keyword -> value; each is to be found at its tag.
ELEMENTS = {
    "PatientName": "DUPONT^MARIE",
    "PatientID": "00812345",
    "PatientBirthDate": "19450312",
    "PatientBirthTime": "101500",
    "PatientBirthName": "LEFEVRE",
    "OtherPatientIDs": "IPP778123",
    "OtherPatientNames": "DUPONT^M",
    "PatientMotherBirthName": "MOREAU",
    "PatientAddress": "12 rue des Lilas",
    "PatientTelephoneNumbers": "0612345678",
    "PatientAge": "097Y",
    "PatientComments": "seen with her son",
    "PatientReligiousPreference": "none of it",
    "MedicalRecordLocator": "R-778",
    "MilitaryRank": "captain",
    "CountryOfResidence": "France",
    "Occupation": "baker",
    "AdditionalPatientHistory": "headaches since 2014",
    "EthnicGroup": "any",
    "IssuerOfPatientID": "CHU",
    "AccessionNumber": "A20150312",
    "StudyID": "4711",
    "StudyDate": "20150312",
    "SeriesDate": "20150312",
    "AcquisitionDate": "20150312",
    "ContentDate": "20150312",
    "StudyTime": "104503",
    "AcquisitionDateTime": "20150312104503",
    "InstanceCreationDate": "20150312",
    "ReferringPhysicianName": "KOWALSKI^Z",
    "ReferringPhysicianAddress": "3 place du Marche",
    "ReferringPhysicianTelephoneNumbers": "0142000000",
    "PerformingPhysicianName": "OKAFOR",
    "NameOfPhysiciansReadingStudy": "NGUYEN",
    "OperatorsName": "TECH3",
    "PhysiciansOfRecord": "SORENSEN",
    "RequestingPhysician": "IVANOV",
    "InstitutionName": "Clinique du Parc",
    "InstitutionAddress": "Lyon",
    "InstitutionalDepartmentName": "Radiologie B",
    "StationName": "MRC45231",
    "DeviceSerialNumber": "45231",
    "StudyDescription": "IRM pour Mme Dupont",
    "SeriesDescription": "T1 refait",
    "ProtocolName": "protocole du chef",
    "ImageComments": "patiente agitee",
    "PerformedProcedureStepID": "PPS1",
    "PerformedProcedureStepStartDate": "20150312",
    "PerformedProcedureStepDescription": "tete",
    "RequestedProcedureID": "RP1",
    "RequestedProcedureDescription": "tete",
    "ScheduledStudyStartDate": "20150311",
    "AdmissionID": "ADM1",
    "CurrentPatientLocation": "room 12",
    "StudyInstanceUID": MAKERS_UID,
    "SeriesInstanceUID": MAKERS_UID + "1",
    "SOPInstanceUID": MAKERS_UID + "2",
    "FrameOfReferenceUID": MAKERS_UID + "3",
    "InterpretationAuthor": "TANAKA",
    "PersonName": "SMITH^ANN",
    "TextComments": "ask her daughter",
    "BurnedInAnnotation": "YES",
    "DerivationDescription": "cut out for Dr Weber",
    "ContrastBolusAgent": "given by Mme Durand",
    "AcquisitionComments": "stopped early",
}
#: Texts in elements that the profile lets stand: only their form tells.
FORMS = {
    "ManufacturerModelName": "Skyra of Mme Lambert",
    "SequenceName": "lea.bernard@chu.example",
    "BodyPartExamined": "HEAD",
    "SoftwareVersions": "installed 12/03/2015",
    "ReceiveCoilName": "IPP 00812345",
    "PositionReferenceIndicator": "DURAND^PAULE",
}
#: NIfTI field -> text.
FIELDS = {
    "descrip": ("DUPONT MARIE 19450312", "Zbigniew K", "TE=2.9;Time=104503.000", "19450312", "IPP00812345"),
    "db_name": ("DUPONT^M", "00812345"),
    "aux_file": ("dupont.hdr", "Clinique Parc"),
    "intent_name": ("Mme Durand",),
}
SIDECAR = {
    "PatientName": "DUPONT^MARIE",
    "PatientID": "00812345",
    "PatientBirthDate": "1945-03-12",
    "AcquisitionDateTime": "2015-03-12T10:45:03.120000",
    "AcquisitionTime": "10:45:03.120000",
    "AccessionNumber": "A2015",
    "InstitutionAddress": "Lyon 69003",
    "InstitutionalDepartmentName": "Radiologie B",
    "StationName": "MRC45231",
    "DeviceSerialNumber": "45231",
    "ReferringPhysicianName": "KOWALSKI",
    "PerformingPhysicianName": "OKAFOR",
    "OperatorsName": "TECH3",
    "ProcedureStepDescription": "tete de Marie",
    "ProtocolName": "protocole du chef",
    "ImageComments": "agitee",
    "SeriesInstanceUID": MAKERS_UID,
    "StudyInstanceUID": MAKERS_UID,
    "StudyID": "4711",
    "PatientComments": "with her son",
    "SeriesDescription": "T1 DUPONT^MARIE",
    "StudyDescription": "IRM du 12/03/2015",
    "ScanOptions": "marie.dupont@example.org",
    "PatientAge": "095Y",
    "ReceiveCoilName": "06 12 34 56 78",
}
NESTED_JSON = (
    ({"EchoTime": 0.003, "Options": {"note": "Mme Durand"}}, "Options.note"),
    ({"EchoTime": 0.003, "Options": {"deep": [{"patient_name": "X. Y."}]}}, "Options.deep[1].patient_name"),
    ({"people": [{"nom": "Durand", "prenom": "Paule"}]}, "people[1].nom"),
    ({"history": "née le 12 mars 1945"}, "history"),
    ({"1945-03-12": 1}, "#1"),
    ({"a": {"b": "2 45 03 75 108 042 02"}}, "a.b"),
)
TABLES = {
    "participants.tsv": (
        ("participant_id\tname\tage", "sub-01\tDUPONT\t70", None),
        ("participant_id\tage", "sub-01\t93", "column 2, row 2"),
        ("participant_id\tdate_of_birth", "sub-01\t1945-03-12", "column 2, row 2"),
        ("participant_id\tcomment", "sub-01\tMme Durand, 06 12 34 56 78", "column 2, row 2"),
        ("participant_id\tipp", "sub-01\t00812345", "column 2, row 2"),
        ("participant_id\tcode_postal", "sub-01\t69003", "column 2, row 2"),
        ("participant_id\te-mail", "sub-01\tmd@example.org", "column 2, row 2"),
        ("participant_id\tnumber", "sub-01\t00812345", "column 2, row 2"),
        ("participant_id\tsex", "DUPONT^MARIE\tF", "column 1, row 2"),
    ),
    "scans.tsv": (
        ("filename\tacq_time", "anat/sub-01_T1w.nii.gz\t2015-03-12T10:45:03", "column 2, row 2"),
        ("filename\toperator", "anat/DUPONT_Marie_T1w.nii.gz\t3", "column 1, row 2"),
    ),
    "list.csv": (
        ("nom;prenom", "Durand;Paule", "column 1, row 2"),
        ("attribute,value,n_series,keep", "StudyDescription,IRM Mme Durand,1,", "column 2, row 2"),
    ),
}
NAMES = (
    "DUPONT_Marie_T1w.nii",
    "sub-DupontMarie_T1w.json",
    "sub-01_ses-20150312_T1w.json",
    "IRM 12-03-2015.txt",
    "19450312.txt",
    "00812345_T1.txt",
    "ipp778123.log",
    "MARTIN^PAUL.dcm",
    "245037510804202.txt",
    "Nathalie.png",
    "scan-of-thierry-k.txt",
    f"{MAKERS_UID}.dcm",
    "A20150312104503.json",
    "md@example.org.txt",
    "dossier_2015-03-12.txt",
)
LINES = {
    "job.log": (
        "2026-11-22 08:49:15 INFO reading DUPONT^MARIE",
        "2026-11-22 08:49:15 WARNING no age for Mme Durand",
        "ERROR /data/in/IPP_00812345/1.dcm",
        "Traceback: could not read patient_id=00812345",
        "study of 12/03/2015 has two series",
        "[22/Nov/2026:08:49:15 +0000] GET /x?mail=marie.dupont@example.org",
        f"series {MAKERS_UID} kept",
        "patient: Durand",
    ),
    "notes.txt": ("vue par le Dr Weber", "12 rue des Lilas 69003 Lyon", "tel 04 72 00 00 00", "née le 12 mars 1945"),
    "README": ("Thanks to M. Durand: Patient Durand",),
    "page.html": ("<td title='DURAND^PAULE'>1</td>", "<p>mail: paule@example.org</p>"),
    "settings.toml": ('hospital_contact = "Mme Durand"', "born = 1945-03-12"),
    "data.xml": ("<name>Patient: Durand</name>",),
}


def empty_dicom():
    """Return a de-identified slice: nothing of anybody is left in it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = "2.25.123456789012345678901234567890"
    dataset.StudyInstanceUID = "2.25.223456789012345678901234567890"
    dataset.SeriesInstanceUID = "2.25.323456789012345678901234567890"
    dataset.Modality, dataset.Manufacturer, dataset.SoftwareVersions = "MR", "SIEMENS", "syngo MR E11"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "", "sub-01", "", "F"
    dataset.PatientAge, dataset.StudyDate, dataset.AccessionNumber = "071Y", "", ""
    dataset.MagneticFieldStrength, dataset.EchoTime, dataset.RepetitionTime = 3, 2.98, 2300
    dataset.Rows = dataset.Columns = 64
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.random.default_rng(0).poisson(30, (64, 64)).astype("<u2").tobytes()
    return dataset


def dicom_bytes(dataset):
    """Return the file of a data set."""
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.123456789012345678901234567890"
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def volume(**fields):
    """Return a small NIfTI image of noise with such texts in its header."""
    data = np.random.default_rng(0).integers(0, 90, (20, 21, 22)).astype(np.int16)
    image = nib.Nifti1Image(data, np.eye(4))
    for field, text in fields.items():
        image.header[field] = text
    return image


def plant(folder):
    """Write the canaries below a folder and return them."""
    planted = []

    def put(path, content, place):
        target = Path(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        planted.append(Canary(path, place))

    for part in (_dicom, _nifti, _json, _tables, _names, _lines, _notebooks, _parquet, _pictures, _archives, _others):
        part(put)
    return planted


def _tag(dataset, keyword):
    tag = dataset.data_element(keyword).tag
    return f"({tag.group:04X},{tag.element:04X})"


def _dicom(put):
    for number, (keyword, value) in enumerate({**ELEMENTS, **FORMS}.items()):
        if keyword in ("BodyPartExamined", "SoftwareVersions"):
            continue
        dataset = empty_dicom()
        setattr(dataset, keyword, value)
        if keyword in ("ImageComments", "PersonName"):
            dataset.SpecificCharacterSet = "ISO_IR 192"
        put(f"dicom/element/{number}.dcm", dicom_bytes(dataset), _tag(dataset, keyword))
    for number, keyword in enumerate(("PatientName", "PatientID", "StudyDate", "OperatorsName", "StationName")):
        inner, middle, dataset = Dataset(), Dataset(), empty_dicom()
        setattr(inner, keyword, ELEMENTS[keyword])
        middle.ReferencedPerformedProcedureStepSequence = [Dataset(), inner]
        dataset.RequestAttributesSequence = [middle]
        put(f"dicom/nested/{number}.dcm", dicom_bytes(dataset), f"(0040,0275)[1]>(0008,1111)[2]>{_tag(inner, keyword)}")
    item, dataset = Dataset(), empty_dicom()
    item.TextValue, item.ValueType = "Mme Durand va bien", "TEXT"
    dataset.ContentSequence = [Dataset(), item]
    put("dicom/nested/report.dcm", dicom_bytes(dataset), "(0040,A730)[2]>(0040,A160)")
    csa = b"SV10\4\3\2\1" + b"\1\0\0\0M\0\0\0" + b"PatientName".ljust(64, b"\0") + b"DUPONT^MARIE\0".ljust(64, b"\0")
    blobs = {
        "csa": ("OB", csa, "name"),
        "latin-1": ("UN", "Mme Hélène Durand".encode("latin-1") + b"\0" * 9, "name"),
        "utf-16": ("OB", b"\0\7" + "MARTIN^PAULE".encode("utf-16-le") + b"\0\0", "name"),
        "uid": ("UN", MAKERS_UID.encode(), "UID"),
        "date": ("LO", "scanned 20150312", "date"),
        "text": ("LT", "IPP 00812345", "id"),
        "numbers": ("US", 7, "private"),
    }
    for name, (vr, value, _) in blobs.items():
        dataset = empty_dicom()
        block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x20, vr, value)
        put(f"dicom/private/{name}.dcm", dicom_bytes(dataset), "(0029,1020)")
    plain = dicom_bytes(empty_dicom())
    put("dicom/preamble.dcm", b"DUPONT MARIE".ljust(128, b"\0") + plain[128:], "preamble")
    put("dicom/cut.dcm", dicom_bytes(_with(PatientComments="x" * 300))[:900], "the end of the file")
    put("dicom/without_preamble", dicom_bytes(_with(PatientName="DUPONT"))[132:], "(0010,0010)")
    for number, elements in enumerate(
        (
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"},
            {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"},
        )
    ):
        put(f"dicom/class/{number}.dcm", dicom_bytes(_with(**elements)), "(0008,0016)")
    put("dicom/class/kind.dcm", dicom_bytes(_with(ConversionType="WSD")), "(0008,0064)")
    put("dicom/class/screen.dcm", dicom_bytes(_with(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])), "(0008,0008)")
    dataset = empty_dicom()
    dataset.add_new(0x60003000, "OW", b"\0\xff" * 256)
    put("dicom/overlay.dcm", dicom_bytes(dataset), "(6000,3000)")
    dataset = empty_dicom()
    dataset.add_new(0x60024000, "LT", "DUPONT")
    put("dicom/overlay_comment.dcm", dicom_bytes(dataset), "(6002,4000)")
    dataset = empty_dicom()
    dataset.file_meta.SourceApplicationEntityTitle = "MRCLYON2"
    put("dicom/meta.dcm", dicom_bytes(dataset), "(0002,0016)")
    dataset = empty_dicom()
    dataset.IconImageSequence = [Dataset()]
    put("dicom/icon.dcm", dicom_bytes(dataset), "(0088,0200)")


def _with(**elements):
    dataset = empty_dicom()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def _nifti(put):
    for field, texts in FIELDS.items():
        for number, text in enumerate(texts):
            put(f"nifti/{field}/{number}.nii", volume(**{field: text}).to_bytes(), field)
    content = bytearray(nib.Nifti2Image(np.ones((3, 3, 3), np.int16), np.eye(4)).to_bytes())
    content[240:252] = b"DUPONT MARIE"
    put("nifti/two.nii", bytes(content), "descrip")
    for code, text in (
        (2, b"\x10\0\x10\0PN\x0c\0DUPONT^MARIE"),
        (4, b"<note='Marie Dupont'>"),
        (6, b"refait"),
        (44, b"x='1'"),
    ):
        image = volume()
        image.header.extensions.append(nib.nifti1.Nifti1Extension(code if code != 2 else 6, text))
        put(f"nifti/extension/{code}.nii", image.to_bytes(), f"extension, code {code if code != 2 else 6}")
    put("nifti/after.nii", volume().to_bytes() + b"\0\0Mme Paule Durand", "after the voxels")
    plain = volume().to_bytes()
    for name in ("DUPONT.nii", "19450312.nii"):
        buffer = io.BytesIO()
        with gzip.GzipFile(name, "wb", fileobj=buffer, mtime=0) as file:
            file.write(plain)
        put(f"nifti/gzip/{len(name)}.nii.gz", buffer.getvalue(), "gzip FNAME")
    packed = gzip.compress(plain, mtime=0)
    commented = packed[:3] + b"\x10" + packed[4:10] + b"for Mme Durand\0" + packed[10:]
    put("nifti/gzip/comment.nii.gz", commented, "gzip FCOMMENT")
    put(
        "nifti/gzip/extra.nii.gz",
        packed[:3] + b"\4" + packed[4:10] + b"\x0c\0DUPONT^MARIE" + packed[10:],
        "gzip FEXTRA",
    )
    put("nifti/gzip/cut.nii.gz", packed[: len(packed) // 2], "gzip")
    put("nifti/gzip/packed.nii.gz", gzip.compress(volume(descrip="DURAND^P").to_bytes(), mtime=0), "descrip")


def _json(put):
    for key, value in SIDECAR.items():
        document = {"Modality": "MR", "EchoTime": 0.003, key: value}
        put(f"json/sidecar/{key[:3]}{len(key)}{key[-3:]}.json", json.dumps(document), key)
    for number, (document, place) in enumerate(NESTED_JSON):
        put(f"json/nested/{number}.json", json.dumps(document, ensure_ascii=False), place)
    put("json/damaged.json", '{"PatientName": "DUPONT^MARIE", ', "line 1")
    put("json/latin.json", '{"Modality": "MR", "note": "Mme Hélène"}'.encode("latin-1"), "note")
    put("json/wide.json", json.dumps({"note": "Mme Durand"}).encode("utf-16"), "note")
    first = {"form": 1, "source": "/pacs", "columns": ["modality"]}
    put("json/list.csv.scan.jsonl", json.dumps(first) + '\n{"headers": []}\n', "cache of a header scan")
    put("json/rows.jsonl", '{"a": 1}\n{"patient_name": "Durand"}\n', "line 2, patient_name")


def _tables(put):
    for name, tables in TABLES.items():
        for number, (titles, row, place) in enumerate(tables):
            if place:
                put(f"tables/{number}/{name}", f"{titles}\n{row}\n", place)


def _names(put):
    for number, name in enumerate(NAMES):
        put(f"names/{number}/{name}", "nothing", "file name")
    put("names/folders/MARTIN_Paul/plain.txt", "nothing", "folder")
    put("names/folders/ses-2015-03-12/plain.txt", "nothing", "folder")


def _lines(put):
    for name, lines in LINES.items():
        for number, line in enumerate(lines):
            put(f"lines/{number}/{name}", f"nothing here\n{line}\n", "line 2")
    put("lines/wide.txt", "first\nMme Durand\n".encode("utf-16"), "line 2")
    put("lines/latin.txt", "Mme Hélène\n".encode("latin-1"), "line 1")
    put("lines/packed.log.gz", gzip.compress(b"patient: Durand\n", mtime=0), "line 1")


def _notebooks(put):
    def notebook(**cell):
        base = {"cell_type": "code", "source": [], "metadata": {}, "outputs": [], "execution_count": None}
        return json.dumps({"cells": [base, {**base, **cell}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})

    stream = {"output_type": "stream", "name": "stdout", "text": ["DUPONT^MARIE\n"]}
    shown = {"output_type": "display_data", "metadata": {}}
    put("notebooks/stream.ipynb", notebook(outputs=[stream]), "cell 2, output 1")
    put(
        "notebooks/error.ipynb",
        notebook(outputs=[{"output_type": "error", "traceback": ["no Mme Durand"]}]),
        "output 1",
    )
    put("notebooks/html.ipynb", notebook(outputs=[{**shown, "data": {"text/html": "<b>12/03/1945</b>"}}]), "output 1")
    put("notebooks/plain.ipynb", notebook(outputs=[{**shown, "data": {"text/plain": ["IPP 00812345"]}}]), "output 1")
    put("notebooks/object.ipynb", notebook(outputs=[{**shown, "data": {"application/json": {"nom": "D"}}}]), "output 1")
    put("notebooks/source.ipynb", notebook(source=["find('DUPONT^MARIE')"]), "cell 2, source")
    put("notebooks/metadata.ipynb", notebook(metadata={"note": "Mme Durand"}), "cell 2, metadata")


def _parquet(put):
    def table(columns, metadata=None):
        made = pa.table(columns)
        buffer = io.BytesIO()
        pq.write_table(made.replace_schema_metadata(metadata) if metadata else made, buffer)
        return buffer.getvalue()

    put(
        "parquet/text.parquet",
        table({"image_id": ["sub-01"] * 3, "note": [None, "-", "Mme Durand"]}),
        "column 2, row 3",
    )
    put("parquet/title.parquet", table({"nom": ["Durand"]}), "column 1, row 1")
    put("parquet/metadata.parquet", table({"a": [1]}, {"made_from": "/pacs/DUPONT^MARIE"}), "key-value metadata")
    pandas = json.dumps({"index_columns": [{"name": "Mme Durand"}]})
    put("parquet/pandas.parquet", table({"a": [1]}, {"pandas": pandas}), "pandas metadata")
    put("parquet/json.parquet", table({"simulation": ['{"patient_name": "Durand"}']}), "column 1, row 1")
    put("parquet/list.parquet", table({"a": [["x"], ["DUPONT^MARIE"]]}), "column 1, row 2")
    put("parquet/path.parquet", table({"source_path": ["/pacs/DUPONT_Marie/1.nii"]}), "column 1, row 1")
    put("parquet/number.parquet", table({"patient_id": [812345]}), "column 1, row 1")


def _pictures(put):
    def saved(form, picture=None, **options):
        buffer = io.BytesIO()
        (picture or Image.new("L", (40, 40), 9)).save(buffer, form, **options)
        return buffer.getvalue()

    texts = PngImagePlugin.PngInfo()
    texts.add_text("Title", "Durand")
    packed = PngImagePlugin.PngInfo()
    packed.add_text("x", "DUPONT^MARIE", zip=True)
    wide = PngImagePlugin.PngInfo()
    wide.add_itxt("x", "Hélène Durand")
    exif = Image.Exif()
    exif[0x013B] = "Dupont"
    put("pictures/text.png", saved("PNG", pnginfo=texts), "text")
    put("pictures/packed.png", saved("PNG", pnginfo=packed), "text")
    put("pictures/wide.png", saved("PNG", pnginfo=wide), "text")
    put("pictures/exif.png", saved("PNG", exif=exif), "EXIF")
    put("pictures/exif.jpg", saved("JPEG", exif=exif), "EXIF")
    put("pictures/comment.jpg", saved("JPEG", comment=b"for Mme Durand"), "comment")
    put("pictures/after.png", saved("PNG") + b"DUPONT^MARIE", "after the picture")
    put("pictures/cut.png", saved("PNG", pnginfo=texts)[:60], "picture")
    put(
        "pictures/in_page.html",
        "<img src='data:image/png;base64," + _base64(saved("PNG", pnginfo=texts)) + "'>",
        "line 1",
    )


def _base64(content):
    import base64

    return base64.b64encode(content).decode()


def _archives(put):
    dicom = dicom_bytes(_with(PatientName="DUPONT"))

    def zipped(**entries):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return buffer.getvalue()

    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w:gz") as archive:
        entry = tarfile.TarInfo("1.dcm")
        entry.size = len(dicom)
        archive.addfile(entry, io.BytesIO(dicom))
    put("archives/a.zip", zipped(**{"1.txt": "x", "2.dcm": dicom}), "entry 2, (0010,0010)")
    put("archives/b.zip", zipped(**{"DUPONT_Marie.txt": "x"}), "entry 1, file name")
    put("archives/c.tar.gz", tape.getvalue(), "entry 1, (0010,0010)")
    put("archives/letter.docx", zipped(**{"word/document.xml": "<t>Mme Durand</t>"}), "entry 1, line 1")
    put("archives/damaged.zip", zipped(**{"1.dcm": dicom})[:200], "file")


def _others(put):
    header = json.dumps({"__metadata__": {"made_by": "for Mme Durand"}}).encode()
    put("others/weights.safetensors", struct.pack("<Q", len(header)) + header, "metadata.made_by")
    put("others/letter.pdf", b"%PDF-1.4\n(Mme Durand)", "document")
    put("others/unknown.bin", bytes(range(256)) * 4 + b"DUPONT^MARIE\0" + bytes(range(256)), "bytes")
    put("others/wide.bin", bytes(range(256)) + "MARTIN^PAULE".encode("utf-16-be") + bytes(range(256)), "bytes")


def plant_nobody(folder):
    """Write files that hold nobody below a folder, and return their paths."""
    paths = []

    def put(path, content):
        target = Path(folder) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(path)

    models = ("Skyra", "Achieva", "Signa HDxt", "DISCOVERY MR750", "Vantage Titan", "MAGNETOM Sola", "Ingenia")
    series = ("T1 MPRAGE SAG", "SAG 3D T1 BRAVO +GADO", "AX 3DT1 post gado", "T1 3D encéphale", "3D T1 TFE inj", "3DT1")
    studies = ("IRM cérébrale", "Brain^Routine", "Neuro^head", "MRI BRAIN W WO GADO", "IRM encéphale sans et avec inj")
    for number in range(40):
        subject = f"sub-{number:04d}" if number % 2 else f"sub-OAS3{number:04d}"
        name = f"bids/{subject}/ses-M{number:02d}/anat/{subject}_ses-M{number:02d}_T1w"
        sidecar = {
            "Modality": "MR",
            "ManufacturersModelName": models[number % 7],
            "SeriesDescription": series[number % 6],
            "StudyDescription": studies[number % 5],
            "SoftwareVersions": "N4_VE11C_LATEST_20160120",
            "ConversionSoftwareVersion": "v1.0.20220720",
            "PatientAge": f"{40 + number:03d}Y",
            "EchoTime": 0.00298,
            "ImageType": ["ORIGINAL", "PRIMARY", "M", "ND", "NORM"],
            "QcbenchSimulation": {"seed": 376383645 + number, "derived_from": None},
        }
        put(f"{name}.json", json.dumps(sidecar, ensure_ascii=False))
        descrip = ("", "FSL5.0", "FreeSurfer Aug 11 2009", "6.0.1", "TE=2.9;phase=1")[number % 5]
        put(f"{name}.nii.gz", gzip.compress(volume(descrip=descrip).to_bytes(), mtime=0))
        put(f"dicom/{number}/IM{number:04d}", dicom_bytes(empty_dicom()))
        put(f"logs/{number}/job.log", f"2026-11-22 08:49:{number:02d} INFO {subject}: aligned in 12.5 s, 0.9987654\n")
    put("bids/participants.tsv", "participant_id\tage\tsex\nsub-0001\t71\tF\nsub-0003\t88.5\tM\n")
    put("bids/CHANGES", "1.0.0 2018-11-06 by Paul Martin\n")
    put(
        "bids/dataset_description.json",
        json.dumps({"Name": "raw", "Authors": ["Paul Martin"], "BIDSVersion": "1.10.0"}),
    )
    return paths
