using '../main.bicep'

// Azure's public cloud: no CUI. A copy of this file is your own (infra/README.md): the regions and the address of alerts,
// and after infra/sign-in what that printed.
param namePrefix = 'assay'
param location = 'eastus2'
param allowedLocations = ['eastus2']
param dataBoundary = 'commercial-noCUI'
param alertEmail = 'alerts@example.net'
param hosting = 'flex'
param mail = 'acs'
// The program is published by hand (infra/README.md); the Marketplace sets this itself.
param _artifactsLocation = ''
