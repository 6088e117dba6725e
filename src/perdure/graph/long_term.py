"""Long-term memory: who and what is known, what is said of them, and what somebody prefers."""

from perdure.graph.finding import Finding


class LongTermMemory(Finding):
    """Entities and their relationships, facts and preferences.

    Every call takes `user_id`, `agent_id`, `run_id` and `tenant`, which say whose memory it is about.
    """
