"""Who may see and change what: hosts and origins, PINs, pairing, sessions."""
