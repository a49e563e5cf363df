"""Takes texts of user data, as a JSON list, as cloud-init itself does behind Hetzner's datasource, and prints the parts of each as JSON."""
import json
import sys

from cloudinit import helpers, user_data
from cloudinit.sources.helpers.hetzner import maybe_b64decode

processor = user_data.UserDataProcessor(helpers.Paths({"run_dir": sys.argv[1], "cloud_dir": sys.argv[1]}))


def parts_of(text):
    for part in processor.process(maybe_b64decode(text.encode())).walk():
        if part.get_content_maintype() != "multipart":
            text = part.get_payload(decode=True).decode("utf-8")
            yield {"type": part.get_content_type(), "filename": part.get_filename(), "text": text}


json.dump([list(parts_of(text)) for text in json.load(sys.stdin)], sys.stdout)
