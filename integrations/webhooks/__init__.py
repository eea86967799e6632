"""Carries webhooks to merchants' systems."""
