"""What every view of the shop shares: codecs, strict bodies, problem details, paging, tracing."""
