// The lines of the table: what is measured, in which unit, and what is to be reached. Goals look at medians:
//   { peers: 20 }    20 times less than the better of restic and borg
//   { disk: 1.5 }    at most 1.5 times the disk's
//   { atMost: 0.3 }  in the line's unit; { atMost: 1.2, of: 'bandwidth' } times what the bandwidth alone would take

export const lines = [
  {
    id: 'ls-first',
    title: 'ls -lR of the system tree, first',
    unit: 's',
    goals: [{ peers: 20 }, { disk: 1.5 }],
  },
  { id: 'ls-second', title: 'ls -lR of the system tree, second', unit: 's', goals: [{ disk: 1.2 }] },
  { id: 'cp-first', title: 'cp -r of the small files, first', unit: 's', goals: [{ peers: 5 }] },
  { id: 'cp-second', title: 'cp -r of the small files, second', unit: 's', goals: [{ disk: 1.3 }] },
  { id: 'sequential-first', title: 'big file, sequential, first', unit: 's', goals: [{ peers: 3 }] },
  { id: 'sequential-second', title: 'big file, sequential, second', unit: 's', goals: [{ disk: 1.1 }] },
  { id: 'grep', title: 'grep -r over the system tree', unit: 's', goals: [{ peers: 4 }] },
  { id: 'rsync', title: 'rsync -a of it into an empty directory', unit: 's', goals: [{ peers: 4 }] },
  { id: 'diff', title: 'diff -r of it against the live tree', unit: 's', goals: [{ peers: 4 }] },
  { id: 'random', title: 'random 4 KiB reads in the big file', unit: 's', goals: [{ peers: 3 }] },
  { id: 'random-read', title: '… bytes read, of the blocks touched', unit: 'times', goals: [{ atMost: 2 }] },
  { id: 'mount', title: 'mount until ls of it answers', unit: 's', goals: [{ atMost: 0.3 }] },
  { id: 'mount-cold', title: '… the program not in memory yet', unit: 's', goals: [] },
  { id: 'mount-resident', title: '… resident then', unit: 'MB', goals: [{ atMost: 150 }] },
  { id: 'mount-anonymous', title: '… of which anonymous', unit: 'MB', goals: [] },
  { id: 'mount-fresh', title: 'the same without a catalog', unit: 's', goals: [] },
  { id: 's3-cp', title: 'S3: cp -r of small files', unit: 's', goals: [{ atMost: 1.5 }, { peers: 90 }] },
  {
    id: 's3-mixed',
    title: 'S3: cp -r of big and small files',
    unit: 's',
    goals: [{ atMost: 1.2, of: 'bandwidth' }],
  },
  { id: 's3-mixed-received', title: '… MB that came over the line', unit: 'MB', goals: [] },
  { id: 's3-first-byte', title: 'S3: first byte of a file', unit: 'round trips', goals: [{ atMost: 3 }] },
  { id: 's3-first-byte-requests', title: '… requests for it', unit: 'requests', goals: [] },
  { id: 's3-ls', title: 'S3: ls -lR, find and stat', unit: 's', goals: [] },
  { id: 's3-ls-requests', title: '… requests for them', unit: 'requests', goals: [{ atMost: 0 }] },
  { id: 's3-random', title: 'S3: random 4 KiB reads in the big file', unit: 's', goals: [{ peers: 3 }] },
  {
    id: 's3-random-received',
    title: '… bytes fetched, of the blocks touched',
    unit: 'times',
    goals: [{ atMost: 2 }],
  },
  {
    id: 'memory-resident',
    title: '64 readers: most that was resident',
    unit: 'MB',
    goals: [{ atMost: 300 }],
  },
  { id: 'memory-anonymous', title: '… anonymous', unit: 'MB', goals: [] },
  { id: 'memory-mapped', title: '… mapped from files', unit: 'MB', goals: [] },
  { id: 'memory-time', title: '… until all of them were done', unit: 's', goals: [] },
];
