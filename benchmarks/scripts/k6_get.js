// The job for k6.
import http from "k6/http";
import { check } from "k6";

const params = {
  headers: {
    Authorization: "Token 9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b",
    "Content-Type": "application/json",
  },
};
if (__ENV.COMPRESSED) params.headers["Accept-Encoding"] = "gzip";

export default function () {
  const response = http.get(__ENV.TARGET_URL, params);
  check(response, { "status is 200": (r) => r.status === 200 });
  if (__ENV.READ_JSON) response.json();
}
