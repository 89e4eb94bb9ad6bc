// Makes the AWS SDK's client and fixes what would otherwise depend on the environment: endpoint, region, checksums, retries
// (ours, so none here), sockets and timeouts.

import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { endpointOf, maximumConnections, regionOf, type S3Configuration } from './address.js';
import { BoundedHandler } from './handler.js';
import { S3Client } from './sdk.js';

export interface S3Timeouts {
  /** Without a byte in either direction. */
  readonly idle_ms: number;
  readonly connect_ms: number;
}

/** The SDK tells users of older Node versions to update Node; that is for this program's package to say. */
function withoutVersionWarning<T>(make: () => T): T {
  const name = 'AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED';
  const before = process.env[name];
  process.env[name] = 'true';
  try {
    return make();
  } finally {
    if (before === undefined) Reflect.deleteProperty(process.env, name);
    else process.env[name] = before;
  }
}

export function makeClient(configuration: S3Configuration, timeouts: S3Timeouts): S3Client {
  const endpoint = endpointOf(configuration);
  const { accessKey, secretKey } = configuration;
  const agent = { keepAlive: true, maxSockets: maximumConnections };
  return withoutVersionWarning(
    () =>
      new S3Client({
        region: regionOf(configuration),
        ...(endpoint === undefined ? {} : { endpoint }),
        ignoreConfiguredEndpointUrls: true,
        forcePathStyle: configuration.pathStyle ?? endpoint !== undefined,
        followRegionRedirects: false,
        maxAttempts: 1,
        expectContinueHeader: false,
        // Other servers stumble over the newer checksums; the signature covers the body's SHA-256 there as well.
        requestChecksumCalculation: 'WHEN_REQUIRED',
        responseChecksumValidation: 'WHEN_REQUIRED',
        ...(accessKey === undefined || secretKey === undefined
          ? {}
          : { credentials: { accessKeyId: accessKey, secretAccessKey: secretKey } }),
        requestHandler: new BoundedHandler(
          {
            connectionTimeout: timeouts.connect_ms,
            httpAgent: new HttpAgent(agent),
            httpsAgent: new HttpsAgent(agent),
          },
          timeouts.idle_ms,
        ),
      }),
  );
}
