"""The AiKYNETIX API as this agent uses it."""
