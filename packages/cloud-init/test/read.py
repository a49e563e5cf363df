"""Takes user data as cloud-init itself does behind Hetzner's datasource, and prints its parts as JSON."""
import json
import sys

from cloudinit import helpers, user_data
from cloudinit.sources.helpers.hetzner import maybe_b64decode

processor = user_data.UserDataProcessor(helpers.Paths({"run_dir": sys.argv[1], "cloud_dir": sys.argv[1]}))
message = processor.process(maybe_b64decode(sys.stdin.buffer.read()))
parts = []
for part in message.walk():
    if part.get_content_maintype() != "multipart":
        text = part.get_payload(decode=True).decode("utf-8")
        parts.append({"type": part.get_content_type(), "filename": part.get_filename(), "text": text})
json.dump(parts, sys.stdout)
