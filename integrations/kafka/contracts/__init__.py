"""What readers of events may rely on: JSON Schemas, one AsyncAPI document, and the promise that both only grow."""
