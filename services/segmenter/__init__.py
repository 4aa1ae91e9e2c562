"""Who is asking: memberships, enriched feedback and demand."""
