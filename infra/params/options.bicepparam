using '../main.bicep'

// Nobody's installation: what the other two leave out, together, so that the checks see it laid out as well. The public cloud
// on Premium, with a vault, DNS zones and a mail server of the provider's own, cards, operators, a fixed size, and a database
// that was restored.
param namePrefix = 'options'
param location = 'centralus'
param allowedLocations = ['centralus', 'eastus2']
param dataBoundary = 'commercial-noCUI'
param alertEmail = 'alerts@example.net'
param hosting = 'premium'
param zoneRedundant = false
param storageSku = 'Standard_GRS'
param databaseCapacity = 'autoscale'
param databaseAccount = 'options-restored'
param backupDays = 7
param ownVaultName = 'contoso-keys'
param ownKeyUri = 'https://contoso-keys.vault.azure.net/keys/assay'
param createDnsZones = false
param hubZonesGroup = '/subscriptions/00000000-0000-4000-8000-0000000000aa/resourceGroups/hub-dns'
param dnsServers = ['10.0.0.4']
param operatorAddresses = ['203.0.113.7', '203.0.113.16/28']
param mail = 'smtp'
param smtpHost = 'smtp.example.net'
param smtpUser = 'assay'
param smtpPassword = 'not a password of anybody'
param mailFrom = 'assay@example.net'
param teamsWebhook = 'https://example.net/workflows/of-nobody'
param publicUrl = 'https://assay.example.net'
param _artifactsLocation = 'https://example.net/offer/'
