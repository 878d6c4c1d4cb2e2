"""Can the Hub be reached? Asked only on demand: one HEAD request with a short timeout."""

from collections.abc import Iterator

from polyrefuse.doctor.finding import Finding

PATIENCE = 5.0
REMEDY = "Check the network, HTTPS_PROXY and HF_ENDPOINT; what is cached works without."


def examine_hub(*, online: bool) -> Iterator[Finding]:
    """Ask the Hub's endpoint for its headers, without a token."""
    if not online:
        yield Finding("Hub", "not tried", "give --online to ask it", "")
        return
    from polyrefuse.redaction import redact

    try:
        from huggingface_hub import constants, get_session

        answer = get_session().head(constants.ENDPOINT, timeout=PATIENCE)
    except Exception as error:  # offline mode, proxies, certificates: each library has its own
        said = redact(str(error).strip().partition("\n")[0] or type(error).__name__)
        yield Finding("Hub", "problem", f"cannot be reached: {said}", REMEDY)
        return
    address = redact(constants.ENDPOINT)
    if answer.status_code >= 500:
        yield Finding("Hub", "problem", f"{address} answers {answer.status_code}", "Try later.")
    else:
        yield Finding("Hub", "ok", f"{address} answers")
