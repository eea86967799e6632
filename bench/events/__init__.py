"""What the benches of events are made of: servers, backlogs, writers, relays, ceilings, and other projects' relays."""
