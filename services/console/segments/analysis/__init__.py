"""What each segment asks for, is worth and does, from published topics alone; needs the extra ``discovery``."""
