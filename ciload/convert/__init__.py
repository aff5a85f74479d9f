"""Scripts from what there is: recordings of browsers, Postman collections, access logs, curl commands."""
