"""What comes back: bounces, complaints and opt-outs, from mail and from providers' webhooks. Everything is hostile."""
