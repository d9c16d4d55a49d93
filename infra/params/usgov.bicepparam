using '../main.bicep'

// Azure Government: for providers whose clients handle CUI. Premium, because there is no Flex Consumption there.
param namePrefix = 'assay'
param location = 'usgovvirginia'
param allowedLocations = ['usgovvirginia']
param dataBoundary = 'gov-CUI'
param alertEmail = 'alerts@example.net'
param hosting = 'premium'
param maxInstances = 5
param mail = 'smtp'
param smtpHost = 'smtp.example.net'
param smtpUser = 'assay'
param mailFrom = 'assay@example.net'
param entraClientId = '00000000-0000-4000-8000-000000000001'
param entraDirectories = ['00000000-0000-4000-8000-000000000002']
param ownerObjectId = '00000000-0000-4000-8000-000000000003'
// What would else be taken from the clock, so that two builds are the same. A real deployment leaves these three out.
param budgetStart = '2027-01-01'
param keysExpire = 1861920000
param secretsExpire = 1830384000
// The program is published by hand (README.md); the Marketplace sets this itself.
param _artifactsLocation = ''
