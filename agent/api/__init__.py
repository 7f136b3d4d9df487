"""The client of the AiKYNETIX API."""
