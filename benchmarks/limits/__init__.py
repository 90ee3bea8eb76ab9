"""For each engine the smallest hand-written loop that keeps the promises Longshore keeps."""
