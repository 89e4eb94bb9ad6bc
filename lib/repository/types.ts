// What a repository is opened with and what it answers. Configuration files become this in lib/config; a program that uses
// the library fills it in itself.

export type StoreConfiguration =
  | {
      readonly kind: 's3';
      readonly bucket: string;
      readonly prefix: string;
      readonly endpoint?: string;
      readonly region?: string;
      readonly pathStyle?: boolean;
      readonly storageClass?: string;
      /** Without keys the AWS SDK's default credential chain. */
      readonly accessKey?: string;
      readonly secretKey?: string;
    }
  | { readonly kind: 'directory'; readonly path: string };

/** Asked only when a password is needed. */
export type PasswordSource = () => Promise<string>;

export interface SourceConfiguration {
  /** Names the stream together with the host, and the directory in the mount. Safe as a file name. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Lines with gitignore rules, relative to `path`. */
  readonly exclude: readonly string[];
  /** Files with such lines, absolute paths. */
  readonly excludeFiles: readonly string[];
  readonly oneFileSystem: boolean;
  /** Leave out the contents of directories that hold a valid CACHEDIR.TAG (the directory and its tag are kept). */
  readonly excludeCaches: boolean;
}
