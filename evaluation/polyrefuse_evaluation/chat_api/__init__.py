"""Any OpenAI-compatible chat API: one client for judging, translating and evaluating.

Knows HTTP, keys, failures and the shapes of replies; knows nothing of prompts, languages or
outcomes.
"""

from polyrefuse_evaluation.chat_api.client import ChatClient
from polyrefuse_evaluation.chat_api.keys import Key, read_key
from polyrefuse_evaluation.chat_api.replies import REJECTED, Reply, Usage

__all__ = ["REJECTED", "ChatClient", "Key", "Reply", "Usage", "read_key"]
