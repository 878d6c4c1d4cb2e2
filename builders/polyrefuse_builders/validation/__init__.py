"""Row-by-row validation of translations: every row gets a verdict and the evidence for it."""

from polyrefuse_builders.validation.options import ValidationOptions
from polyrefuse_builders.validation.report import (
    LanguageFigures,
    RowReport,
    ValidationFigures,
    ValidationReport,
    apply_report,
    report_table,
    write_report,
)
from polyrefuse_builders.validation.run import validate_folder, validate_prompts, validate_to_file

__all__ = [
    "LanguageFigures",
    "RowReport",
    "ValidationFigures",
    "ValidationOptions",
    "ValidationReport",
    "apply_report",
    "report_table",
    "validate_folder",
    "validate_prompts",
    "validate_to_file",
    "write_report",
]
