"""What shoppers do, in the words of Segment's e-commerce spec: counted, rolled up by day, handed to sinks."""
