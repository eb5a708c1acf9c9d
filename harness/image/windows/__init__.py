"""Windows images: from an ISO or a disk that the user has, to a golden image that answers WinRM."""
