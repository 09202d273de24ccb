"""From screenshots to a consensus: queue, journal, session, agreement."""
