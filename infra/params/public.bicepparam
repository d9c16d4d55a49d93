using '../main.bicep'

// Azure's public cloud: no CUI. What a provider changes: the prefix, the regions, the mail address, and who signs in.
param namePrefix = 'assay'
param location = 'eastus2'
param allowedLocations = ['eastus2']
param dataBoundary = 'commercial-noCUI'
param alertEmail = 'alerts@example.net'
param hosting = 'flex'
param mail = 'acs'
param entraClientId = '00000000-0000-4000-8000-000000000001'
param entraDirectories = ['00000000-0000-4000-8000-000000000002']
param ownerObjectId = '00000000-0000-4000-8000-000000000003'
// What would else be taken from the clock, so that two builds are the same. A real deployment leaves these three out.
param budgetStart = '2027-01-01'
param keysExpire = 1861920000
param secretsExpire = 1830384000
// The program is published by hand (README.md); the Marketplace sets this itself.
param _artifactsLocation = ''
